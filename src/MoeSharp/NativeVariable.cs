using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>Environment variables that native libraries read: on Unix .NET changes only a copy of its own, which they do not see.</summary>
internal static partial class NativeVariable
{
    /// <summary>Gives a variable a value, unless the user has.</summary>
    public static void SetDefault(string name, string value)
    {
        if (Environment.GetEnvironmentVariable(name) is not null) return;

        Environment.SetEnvironmentVariable(name, value);
        if (!OperatingSystem.IsWindows()) _ = SetNative(name, value, 0);
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetNative(string name, string value, int overwrite);
}
