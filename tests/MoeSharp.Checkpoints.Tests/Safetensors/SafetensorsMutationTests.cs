using System.Text;
using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class SafetensorsMutationTests : IDisposable
{
    /// <summary>No valid file here needs more; a reader that trusts a number in the file needs gigabytes.</summary>
    private const long AllocationLimit = 4 << 20;

    private static readonly string[] Fragments =
        ["0", "-1", "9223372036854775807", "18446744073709551616", "1e3", "null", "\"F64\"", "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "__metadata__", "[[[[", " "];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void SafetensorsFile_FlippedBits_OpenOrThrowCheckpointException() =>
        Check(from file in Originals from flips in Gen.Select(Gen.Int[0, 4000], Gen.Int[0, 7]).Array[1, 4] select Flip(file, flips));

    [Fact]
    public void SafetensorsFile_TruncatedOrExtended_OpenOrThrowCheckpointException() =>
        Check(from file in Originals from length in Gen.Int[0, 1 << 16] from extra in Gen.Byte.Array[0, 16] select (byte[])[.. file.Take(length), .. extra]);

    [Fact]
    public void SafetensorsFile_EditedHeader_OpenOrThrowCheckpointException() =>
        Check(from file in Originals
              from position in Gen.Int[0, 2000]
              from removed in Gen.Int[0, 12]
              from inserted in Gen.OneOf(Fragments)
              from keepsLength in Gen.Bool
              select Edit(file, position, removed, inserted, keepsLength));

    private static Gen<byte[]> Originals { get; } = Gen.OneOf<byte[]>(
    [
        File.ReadAllBytes(Fixtures.Path("hostile", "files", "ok_every_dtype.safetensors")),
        File.ReadAllBytes(Fixtures.Path("hostile", "files", "meta_last.safetensors")),
        File.ReadAllBytes(Fixtures.Path("qwen3_moe", "model.safetensors")),
    ]);

    private void Check(Gen<byte[]> mutants)
    {
        string path = _folder.File("mutant.safetensors");

        mutants.ForEach(
            2000,
            mutant =>
            {
                File.WriteAllBytes(path, mutant);
                long before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    using var file = SafetensorsFile.Open(path);
                    Assert.All(file.Tensors.Values, tensor => Assert.Equal(tensor.ByteCount, file.Bytes(tensor.Name).Length));
                }
                catch (CheckpointException e)
                {
                    Assert.StartsWith(path, e.Message, StringComparison.Ordinal);
                }

                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocationLimit);
            });
    }

    private static byte[] Flip(byte[] file, (int Position, int Bit)[] flips)
    {
        byte[] mutant = [.. file];
        foreach (var (position, bit) in flips) mutant[position % mutant.Length] ^= (byte)(1 << bit);
        return mutant;
    }

    /// <summary>Replaces a few bytes of the header; with its length corrected the parser sees the edit and not only a wrong end.</summary>
    private static byte[] Edit(byte[] file, int position, int removed, string inserted, bool keepsLength)
    {
        int length = (int)BitConverter.ToInt64(file);
        int at = position % length;
        int end = Math.Min(at + removed, length);
        byte[] header = [.. file[8..(8 + at)], .. Encoding.UTF8.GetBytes(inserted), .. file[(8 + end)..(8 + length)]];
        return [.. BitConverter.GetBytes(keepsLength ? length : (long)header.Length), .. header, .. file[(8 + length)..]];
    }
}
