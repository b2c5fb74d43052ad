using System.Reflection;
using System.Xml.Linq;

namespace SoundHash.Backup.UnitTests.Cli;

/// <summary>What the program compiled ahead of time leaves out of its libraries (docs/adr/0015).</summary>
public sealed class LeftOutMethodsTests
{
    private const BindingFlags Any = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    // The compiler passes over a method that it does not find, and keeps all that hangs on it.
    [Fact]
    public void Every_method_that_is_left_out_is_one_of_its_library()
    {
        using var list = typeof(LeftOutMethodsTests).Assembly.GetManifestResourceStream("ILLink.Substitutions.xml")!;
        var leftOut = XDocument.Load(list).Descendants("method").Select(static m => (Method: m, Type: m.Parent!, Assembly: m.Parent!.Parent!)).ToList();

        var unknown = leftOut.Where(static m => Find(NameOf(m.Assembly), NameOf(m.Type), m.Method.Attribute("signature")?.Value) is null)
            .Select(static m => m.Method.ToString());

        Assert.NotEmpty(leftOut);
        Assert.Empty(unknown);
    }

    private static string NameOf(XElement element) => element.Attribute("fullname")!.Value;

    private static MethodInfo? Find(string assembly, string type, string? signature) =>
        Assembly.Load(assembly).GetType(type)?.GetMethods(Any).SingleOrDefault(m => SignatureOf(m) == signature);

    private static string SignatureOf(MethodInfo method) =>
        $"{method.ReturnType.FullName} {method.Name}({string.Join(',', method.GetParameters().Select(static p => p.ParameterType.FullName))})";
}
