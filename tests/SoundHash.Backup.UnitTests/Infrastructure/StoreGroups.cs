using Serilog.Core;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.FanOut;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>Stores as a run writes to them.</summary>
internal static class StoreGroups
{
    public static StoreGroup Of(params IObjectStore[] stores) => new(stores, TimeProvider.System, Logger.None);
}
