using System.Text;

namespace MoeSharp.Training;

/// <summary>How the members of enumerations are spelled in files and on the command line: TokenTable is "token_table", BFloat16 is "bfloat16".</summary>
internal static class ChoiceWord
{
    public static string Of(string name)
    {
        var word = new StringBuilder();
        for (int i = 0; i < name.Length; i++)
        {
            if (i > 0 && char.IsUpper(name[i]) && char.IsLower(name[i - 1])) word.Append('_');
            word.Append(char.ToLowerInvariant(name[i]));
        }

        return word.ToString();
    }
}
