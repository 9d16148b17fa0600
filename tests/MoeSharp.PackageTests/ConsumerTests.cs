namespace MoeSharp.Package.Tests;

/// <summary>What a user of the packages sees: TorchSharp loads, on systems too where it would not without us.</summary>
public class ConsumerTests(LocalFeed feed)
{
    [Fact]
    public void Application_WithThePackageTraining_RunsALayer()
    {
        var printed = feed.BuildAndRun("Application");

        Assert.Equal("3 x 5 x 16, 30 selections\n", printed);
    }

    [Fact]
    public void Application_ThroughALibraryAndForOnePlatform_RunsTorchSharp()
    {
        var printed = feed.BuildAndRun("ThroughLibrary");

        Assert.Equal("sum 45\n", printed);
    }
}
