using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

// TorchSharpNative.targets compiles this file when a project first needs it. It reads the dynamic-linking tables of an ELF file
// (https://refspecs.linuxbase.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html); all offsets below are those of ELF64.

/// <summary>
/// Copies libLibTorchSharp.so and makes the copy load with the C++ library of Debian 12, Ubuntu 22.04 and RHEL 9. TorchSharp 0.107.0 asks for
/// GLIBCXX_3.4.30 and 3.4.32, each for one symbol only:
/// 3.4.32 for a marker that nothing in the file refers to, and 3.4.30 for condition_variable::wait, which every version of the library since
/// GCC 4.4 also exports as GLIBCXX_3.4.11. So the copy binds that symbol to 3.4.11, and both needs become weak: used where the system has
/// them, not demanded where it has not. A file that asks for anything else of these versions, or for neither, is copied as it is.
/// </summary>
public class RelaxTorchSharpNative : Task
{
    private const string Marker = "_ZSt21ios_base_library_initv";
    private const string Wait = "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE";
    private const string WaitVersion = "GLIBCXX_3.4.11";

    // the versions that older systems lack, and the one symbol of each that may be relaxed
    private static readonly Dictionary<string, string> Relaxed = new Dictionary<string, string>
    {
        ["GLIBCXX_3.4.30"] = Wait,
        ["GLIBCXX_3.4.32"] = Marker,
    };

    private byte[] _file;

    [Required]
    public string Source { get; set; }

    [Required]
    public string Destination { get; set; }

    public override bool Execute()
    {
        _file = File.ReadAllBytes(Source);
        int patched = IsElf64() ? Relax() : 0;

        Directory.CreateDirectory(Path.GetDirectoryName(Destination));
        File.Delete(Destination);   // a running program may have the old copy mapped: give the new one its own inode
        File.WriteAllBytes(Destination, _file);

        Log.LogMessage(MessageImportance.Low, "{0}: relaxed {1} version needs of {2}", nameof(RelaxTorchSharpNative), patched, Source);
        return true;
    }

    private bool IsElf64()
    {
        const uint Magic = 0x464C457F;
        const byte SixtyFourBit = 2, LittleEndian = 1;
        return _file.Length >= 64 && UInt32(0) == Magic && _file[4] == SixtyFourBit && _file[5] == LittleEndian;
    }

    // 1. find what each undefined symbol needs, 2. stop at anything unknown, 3. bind wait to its older version, 4. make the needs weak
    private int Relax()
    {
        Section needs = Find(0x6FFFFFFE), versions = Find(0x6FFFFFFF), symbols = Find(11);   // SHT_GNU_verneed, SHT_GNU_versym, SHT_DYNSYM
        if (needs == null || versions == null || symbols == null) return 0;

        var needed = ReadNeeds(needs);
        var found = needed.FindAll(need => Relaxed.ContainsKey(need.Name));
        var older = needed.Find(need => need.Name == WaitVersion);
        if (found.Count == 0 || older == null) return 0;

        var waits = new List<long>();
        for (long i = 0; i < symbols.Size / 24; i++)
        {
            long version = versions.Offset + i * 2;
            var need = found.Find(candidate => candidate.Index == (UInt16(version) & 0x7FFF));
            if (need == null) continue;

            string symbol = Text(symbols.Strings + UInt32(symbols.Offset + i * 24));
            if (symbol != Relaxed[need.Name])
            {
                Log.LogMessage(MessageImportance.Low, "{0}: {1} really needs {2} of {3}", nameof(RelaxTorchSharpNative), Source, need.Name, symbol);
                return 0;
            }

            if (symbol == Wait) waits.Add(version);
        }

        waits.ForEach(version => BitConverter.GetBytes((ushort)older.Index).CopyTo(_file, version));
        found.ForEach(need => _file[need.Offset + 4] |= 2);   // vna_flags: VER_FLG_WEAK
        return found.Count;
    }

    private List<Need> ReadNeeds(Section section)
    {
        var needs = new List<Need>();
        for (long library = section.Offset; ; library += UInt32(library + 12))          // vn_next
        {
            long entry = library + UInt32(library + 8);                                 // vn_aux
            for (int i = 0; i < UInt16(library + 2); i++, entry += UInt32(entry + 12))  // vn_cnt, vna_next
            {
                needs.Add(new Need { Offset = entry, Index = UInt16(entry + 6), Name = Text(section.Strings + UInt32(entry + 8)) });
            }

            if (UInt32(library + 12) == 0) return needs;
        }
    }

    private Section Find(uint type)
    {
        long table = Int64(0x28);
        int size = UInt16(0x3A), count = UInt16(0x3C);
        for (int i = 0; i < count; i++)
        {
            long header = table + (long)i * size;
            if (UInt32(header + 4) != type) continue;

            long linked = table + (long)UInt32(header + 0x28) * size;                   // the section that holds the names
            return new Section { Offset = Int64(header + 0x18), Size = Int64(header + 0x20), Strings = Int64(linked + 0x18) };
        }

        return null;
    }

    private ushort UInt16(long offset) => BitConverter.ToUInt16(_file, (int)offset);

    private uint UInt32(long offset) => BitConverter.ToUInt32(_file, (int)offset);

    private long Int64(long offset) => BitConverter.ToInt64(_file, (int)offset);

    private string Text(long offset) => Encoding.ASCII.GetString(_file, (int)offset, Array.IndexOf(_file, (byte)0, (int)offset) - (int)offset);

    private sealed class Section
    {
        public long Offset, Size, Strings;
    }

    private sealed class Need
    {
        public long Offset;
        public ushort Index;
        public string Name;
    }
}
