using System.Reflection;
using System.Xml.Linq;
using Google.Apis.Auth.OAuth2;
using Google.Apis.Util;
using SoundHash.Backup.Storage.Gcs;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>What the compiler ahead of time is told to keep is what Google's library reads and writes by reflection.</summary>
public sealed class KeptTypesTests
{
    private static readonly string[] Marks = ["JsonPropertyAttribute", nameof(RequestParameterAttribute)];

    // A new version of the library may have others; without them the compiled program could not read a credential.
    [Fact]
    public void Every_type_that_is_read_or_written_by_reflection_is_kept()
    {
        using var descriptor = typeof(GcsObjectStore).Assembly.GetManifestResourceStream("ILLink.Descriptors.xml")!;
        var kept = XDocument.Load(descriptor).Descendants("type").Select(static t => t.Attribute("fullname")!.Value);

        var needed = ((Assembly[])[typeof(GoogleCredential).Assembly, typeof(RequestParameterAttribute).Assembly])
            .SelectMany(static a => a.GetTypes())
            .Where(static t => t.GetMembers(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).Any(IsMarked))
            .Select(static t => t.FullName!.Replace('+', '/'));

        Assert.Empty(needed.Except(kept));
    }

    private static bool IsMarked(MemberInfo member) => member.CustomAttributes.Any(static a => Marks.Contains(a.AttributeType.Name));
}
