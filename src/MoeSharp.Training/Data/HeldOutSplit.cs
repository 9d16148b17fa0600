using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace MoeSharp.Training;

/// <summary>A text and what decides its place: a hash of its content.</summary>
internal sealed record HashedText(string Text, byte[] Hash);

/// <summary>
/// Divides documents into those to train on and those to measure on. What decides is the hash of a document's content, so that the order,
/// the names and the number of the documents do not matter: a document stays on its side when others come or go. Equal documents count once.
/// </summary>
/// <param name="HeldOut">What training never sees, in the order of the hashes; at least one text.</param>
/// <param name="Train">The rest, in the order of the hashes; at least one text.</param>
internal sealed record HeldOutSplit(IReadOnlyList<HashedText> HeldOut, IReadOnlyList<HashedText> Train)
{
    /// <exception cref="MoeException">There is no text, or a single character.</exception>
    public static HeldOutSplit Of(IReadOnlyList<TextDocument> documents, double share, CancellationToken cancellation)
    {
        var texts = OrderedParallel.Select(documents, document => Hash(document.Text), cancellation)
            .Where(text => text.Text.Length > 0).DistinctBy(text => Convert.ToHexString(text.Hash)).ToList();
        if (texts.Count == 1) texts = [.. DocumentPieces.Of(texts[0].Text).Select((piece, number) => Hash(piece, number))];
        if (texts.Count < 2)
        {
            throw new MoeException("There is too little text: a part must be held out and a part must stay to train on. Give more data.");
        }

        texts.Sort(static (a, b) => a.Hash.AsSpan().SequenceCompareTo(b.Hash));
        var heldOut = Math.Clamp(texts.Count(text => Position(text.Hash) < share), 1, texts.Count - 1);

        return new([.. texts.Take(heldOut)], [.. texts.Skip(heldOut)]);
    }

    // Pieces of one document are told apart by their numbers too: a text that repeats itself still has two sides.
    private static HashedText Hash(string text, int? number = null) => new(text, SHA256.HashData(Encoding.UTF8.GetBytes($"{number}{text}")));

    // the hash as a number from 0 to 1
    private static double Position(byte[] hash) => BinaryPrimitives.ReadUInt64BigEndian(hash) * Math.ScaleB(1, -64);
}
