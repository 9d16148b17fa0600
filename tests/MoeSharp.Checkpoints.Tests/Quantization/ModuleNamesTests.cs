using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class ModuleNamesTests
{
    private static readonly Gen<string> Name = Gen.OneOf("a", "b", "ab", "*", "").Array[1, 4].Select(parts => string.Join('.', parts));

    [Fact]
    public void Match_AnyNames_AgreesWithComparingThemOneByOne() =>
        Gen.Select(Name.Array[0, 4], Gen.OneOf("a", "b", "ab", "").Array[1, 5].Select(parts => string.Join('.', parts))).ForEach(
            3000, sample => Assert.Equal(sample.Item1.Any(name => Matches(name, sample.Item2)), new ModuleNames(sample.Item1).Match(sample.Item2)));

    [Theory]
    [InlineData("re:a\\.", "a.b", true)]
    [InlineData("re:b", "a.b", false)]
    [InlineData("b.c", "a.b.c", true)]
    [InlineData("b", "a.b.c", false)]
    [InlineData("a.*.c", "a.b.c.d", true)]
    [InlineData("a.*.c", "a.b.cd", false)]
    public void Match_OneName_MatchesAsLibrariesDo(string name, string module, bool expected) => Assert.Equal(expected, new ModuleNames([name]).Match(module));

    private static bool Matches(string name, string module)
    {
        if (!name.Contains('*', StringComparison.Ordinal)) return module == name || module.StartsWith($"{name}.", StringComparison.Ordinal) || module.EndsWith($".{name}", StringComparison.Ordinal);

        string[] parts = name.Split('*');
        var ends = new HashSet<int>();        // where what was matched so far may end
        if (module.StartsWith(parts[0], StringComparison.Ordinal)) ends.Add(parts[0].Length);
        foreach (string part in parts.Skip(1))
            ends = [.. ends.SelectMany(end => Enumerable.Range(end, module.Length - end + 1)).Where(start => string.CompareOrdinal(module, start, part, 0, part.Length) == 0 && start + part.Length <= module.Length).Select(start => start + part.Length)];
        return ends.Any(end => end == module.Length || module[end] == '.');
    }
}
