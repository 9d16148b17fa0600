using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class SafetensorsMessageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "Tensor 'a' has data_offsets [0, 4], 4 bytes; shape [2] of F32 takes 8.")]
    [InlineData("""{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}""", 4, "Tensor 'a' has dtype 'F33'; known are BOOL, F4, F6_E2M3, F6_E3M2, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64.")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 2, "Tensor 'a' starts at byte 1 of the data and leaves a hole before it; expected byte 0.")]
    [InlineData("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 2, "Tensor 'b' starts at byte 1 of the data and overlaps another tensor; expected byte 2.")]
    [InlineData("""{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "The header names tensor 'a' twice.")]
    [InlineData("""{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}""", 1, "Tensor 'a': shape [3] of F4 takes 12 bits, which is no whole number of bytes.")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}""", 0, "Tensor 'a': shape [4294967296, 4294967296] of U8 overflows 64 bits.")]
    [InlineData("""{"a":{"dtype":"U8","data_offsets":[0,0]}}""", 0, "Tensor 'a' has no 'shape'.")]
    [InlineData("""{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}""", 0, "'shape' of tensor 'a' has an item that is no whole number from 0 to 9223372036854775807.")]
    [InlineData("""{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "Tensor 'a' has 'dtype' twice.")]
    [InlineData("""{"a":[]}""", 0, "The entry of tensor 'a' is a list; expected an object.")]
    [InlineData("""{"__metadata__":{"k":1}}""", 0, "'__metadata__' entry 'k' is a number; expected text.")]
    [InlineData("""{"__metadata__":{"k":"1","k":"2"}}""", 0, "'__metadata__' has the key 'k' twice.")]
    [InlineData("""{"__metadata__":{},"__metadata__":{}}""", 0, "The header has '__metadata__' twice.")]
    [InlineData("""{"\u001b[2J":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, @"Tensor name '\u001b[2J' has the character U+001B, which terminals obey instead of showing it.")]
    [InlineData("""{"a":{"dtype":"U8","shape":["\ud800"],"data_offsets":[0,0]}}""", 0, "'shape' of tensor 'a' has an item that is no whole number from 0 to 9223372036854775807.")]
    [InlineData("""{"\ud800":{}}""", 0, "The header has text that is no Unicode: an escaped surrogate without its pair.")]
    public void SafetensorsFile_Fault_IsToldExactly(string header, int dataLength, string message)
    {
        string path = RawSafetensors.Write(_folder.File("a.safetensors"), header, dataLength);

        var e = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path));

        Assert.Equal($"{path}: {message}", e.Message);
    }

    [Theory]
    [InlineData(-1, "The tensors end at byte {0} but the file at {1}. The file is incomplete: fetch it again.")]
    [InlineData(1, "The tensors end at byte {0} but the file at {1}; bytes that belong to no tensor: 1.")]
    public void SafetensorsFile_WrongLength_SaysWhereDataAndFileEnd(int excess, string message)
    {
        string header = $"{{{RawSafetensors.Entry("a", "U8", "4", 0, 4)}}}";
        string path = RawSafetensors.Write(_folder.File("a.safetensors"), header, 4 + excess);

        var e = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path));

        int end = 8 + header.Length + 4;
        Assert.Equal($"{path}: {string.Format(null, message, end, end + excess)}", e.Message);
    }

    [Fact]
    public void SafetensorsFile_HeaderLengthOfAHundredGigabytes_IsRefusedWithoutAllocating()
    {
        string path = _folder.File("a.safetensors");
        File.WriteAllBytes(path, BitConverter.GetBytes(100_000_000_000L));

        long before = GC.GetAllocatedBytesForCurrentThread();
        var e = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path));

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Equal($"{path}: The first 8 bytes give a header of 100000000000 bytes; the format allows 100000000. This is no safetensors file, or it is damaged.", e.Message);
    }

    [Fact]
    public void SafetensorsFile_MissingFileOrFolder_IsACheckpointException()
    {
        Assert.Contains("cannot be read", Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(_folder.File("none"))).Message, StringComparison.Ordinal);
        Assert.Contains("cannot be read", Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SafetensorsFile_RankAndNameAboveTheLimit_AreRefused()
    {
        string rank = $"{{{RawSafetensors.Entry("a", "U8", string.Join(',', Enumerable.Repeat(1, 65)), 0, 1)}}}";
        string name = $"{{{RawSafetensors.Entry(new string('n', 4097), "U8", "1", 0, 1)}}}";

        Assert.Contains("'shape' of tensor 'a' has more than 64 items.", Failure(rank), StringComparison.Ordinal);
        Assert.Contains("…' is 4097 characters long; the limit is 4096.", Failure(name), StringComparison.Ordinal);
    }

    private string Failure(string header)
    {
        string path = RawSafetensors.Write(_folder.File("a.safetensors"), header, 1);
        return Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path)).Message;
    }
}
