// Writes what TrinityCore's exception filter writes of a crash on Windows: a minidump and a text beside each other in
// `Crashes`, in the layout of its WheatyExceptionReport.cpp. Compiled into the sample realm by tests/soak/windows.py.
#include "Revision/GitRevision.h"
#include <windows.h>
#include <dbghelp.h>
#include <tlhelp32.h>
#include <cstdio>
#include <string>

extern "C" char const* TrinityAssertionFailedMessage;

namespace
{
    constexpr DWORD AssertionFailure = 0xC0000420;
    constexpr int MostFrames = 100;
    constexpr ULONG CommentStream = CommentStreamA;

    LONG volatile writing = 0;

    char const* NameOf(DWORD code)
    {
        switch (code)
        {
            case EXCEPTION_ACCESS_VIOLATION: return "ACCESS_VIOLATION";
            case EXCEPTION_STACK_OVERFLOW: return "STACK_OVERFLOW";
            case EXCEPTION_INT_DIVIDE_BY_ZERO: return "INT_DIVIDE_BY_ZERO";
            case EXCEPTION_BREAKPOINT: return "BREAKPOINT";
            case AssertionFailure: return "An assertion failure has occurred.\r\n"; // from ntdll, with its own end of line
            default: return "";
        }
    }

    // Section and offset of an address, as a linker's map has them.
    void Locate(DWORD64 address, unsigned& section, DWORD64& offset, char* module)
    {
        section = 0;
        offset = 0;
        module[0] = 0;
        MEMORY_BASIC_INFORMATION memory;
        if (!VirtualQuery(reinterpret_cast<void*>(address), &memory, sizeof(memory)) || !memory.AllocationBase)
            return;
        HMODULE const base = static_cast<HMODULE>(memory.AllocationBase);
        if (!GetModuleFileNameA(base, module, MAX_PATH))
            return;
        auto const* dos = reinterpret_cast<IMAGE_DOS_HEADER const*>(base);
        auto const* image = reinterpret_cast<IMAGE_NT_HEADERS const*>(reinterpret_cast<char const*>(base) + dos->e_lfanew);
        DWORD64 const relative = address - reinterpret_cast<DWORD64>(base);
        auto const* each = IMAGE_FIRST_SECTION(image);
        for (unsigned i = 0; i < image->FileHeader.NumberOfSections; ++i, ++each)
            if (relative >= each->VirtualAddress && relative < each->VirtualAddress + each->Misc.VirtualSize)
            {
                section = i + 1;
                offset = relative - each->VirtualAddress;
            }
    }

    void WriteFrame(FILE* file, DWORD64 address, DWORD64 frame)
    {
        char memory[sizeof(SYMBOL_INFO) + MAX_SYM_NAME] = {};
        auto* symbol = reinterpret_cast<SYMBOL_INFO*>(memory);
        symbol->SizeOfStruct = sizeof(SYMBOL_INFO);
        symbol->MaxNameLen = MAX_SYM_NAME;
        DWORD64 displacement = 0;
        std::fprintf(file, "%016llX  %016llX  ", address, frame);
        if (SymFromAddr(GetCurrentProcess(), address, &displacement, symbol))
            std::fprintf(file, "%s+%llX", symbol->Name, displacement);
        else
        {
            unsigned section;
            DWORD64 offset;
            char module[MAX_PATH];
            Locate(address, section, offset, module);
            std::fprintf(file, "%04X:%016llX %s", section, offset, module);
        }
        IMAGEHLP_LINE64 line = {};
        line.SizeOfStruct = sizeof(line);
        DWORD into = 0;
        if (SymGetLineFromAddr64(GetCurrentProcess(), address, &into, &line))
            std::fprintf(file, "  %s line %lu", line.FileName, line.LineNumber);
        std::fputs("\r\n", file);
    }

    void WriteStack(FILE* file, HANDLE thread, CONTEXT context)
    {
        std::fputs("\r\nCall stack:\r\nAddress   Frame     Function      SourceFile\r\n", file);
        STACKFRAME64 frame = {};
        frame.AddrPC = { context.Rip, 0, AddrModeFlat };
        frame.AddrStack = { context.Rsp, 0, AddrModeFlat };
        frame.AddrFrame = { context.Rbp, 0, AddrModeFlat };
        for (int i = 0; i < MostFrames; ++i)
        {
            if (!StackWalk64(IMAGE_FILE_MACHINE_AMD64, GetCurrentProcess(), thread, &frame, &context, nullptr,
                    SymFunctionTableAccess64, SymGetModuleBase64, nullptr) || !frame.AddrPC.Offset)
                break;
            WriteFrame(file, frame.AddrPC.Offset, frame.AddrFrame.Offset);
        }
    }

    void WriteOtherStacks(FILE* file)
    {
        HANDLE const all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        THREADENTRY32 each = {};
        each.dwSize = sizeof(each);
        for (BOOL more = Thread32First(all, &each); more; more = Thread32Next(all, &each))
        {
            if (each.th32OwnerProcessID != GetCurrentProcessId() || each.th32ThreadID == GetCurrentThreadId())
                continue;
            HANDLE const thread = OpenThread(THREAD_ALL_ACCESS, FALSE, each.th32ThreadID);
            CONTEXT context = {};
            context.ContextFlags = CONTEXT_FULL;
            if (thread && SuspendThread(thread) != static_cast<DWORD>(-1))
            {
                if (GetThreadContext(thread, &context))
                    WriteStack(file, thread, context);
                ResumeThread(thread);
            }
            if (thread)
                CloseHandle(thread);
        }
        CloseHandle(all);
    }

    void WriteText(std::string const& path, SYSTEMTIME const& now, EXCEPTION_POINTERS* crash)
    {
        FILE* file = std::fopen(path.c_str(), "wb");
        if (!file)
            return;
        DWORD64 const address = reinterpret_cast<DWORD64>(crash->ExceptionRecord->ExceptionAddress);
        DWORD const code = crash->ExceptionRecord->ExceptionCode;
        unsigned section;
        DWORD64 offset;
        char module[MAX_PATH];
        Locate(address, section, offset, module);
        std::fprintf(file, "Revision: %s\r\n", GitRevision::GetFullVersion());
        std::fprintf(file, "Date %u:%u:%u. Time %u:%u \r\n", now.wDay, now.wMonth, now.wYear, now.wHour, now.wMinute);
        std::fputs("//=====================================================\r\n*** Hardware ***\r\nProcessor: <unknown>\r\n\r\n", file);
        std::fputs("*** Operation System ***\r\nWine\r\n\r\n//=====================================================\r\n", file);
        std::fprintf(file, "Exception code: %08lX %s\r\n", code, NameOf(code));
        if (code == AssertionFailure)
            std::fprintf(file, "Assertion message: %s\r\n", TrinityAssertionFailedMessage);
        std::fprintf(file, "Fault address:  %016llX %02X:%016llX %s\r\n", address, section, offset, module);
        std::fprintf(file, "\r\nRegisters:\r\nRAX:%016llX\r\nCS:RIP:%04X:%016llX\r\nSS:RSP:%04X:%016llX  RBP:%08llX\r\nFlags:%08lX\r\n",
            crash->ContextRecord->Rax, crash->ContextRecord->SegCs, crash->ContextRecord->Rip, crash->ContextRecord->SegSs,
            crash->ContextRecord->Rsp, crash->ContextRecord->Rbp, crash->ContextRecord->EFlags);
        WriteStack(file, GetCurrentThread(), *crash->ContextRecord);
        WriteOtherStacks(file);
        std::fputs("========================\r\nLocal Variables And Parameters\r\n\r\n", file);
        std::fclose(file);
    }

    void WriteDump(std::string const& path, EXCEPTION_POINTERS* crash)
    {
        HANDLE const file = CreateFileA(path.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr);
        MINIDUMP_EXCEPTION_INFORMATION exception = { GetCurrentThreadId(), crash, FALSE };
        char const* said = TrinityAssertionFailedMessage ? TrinityAssertionFailedMessage : "no assertion";
        MINIDUMP_USER_STREAM comment = { CommentStream, static_cast<ULONG>(std::string(said).size() + 1), const_cast<char*>(said) };
        MINIDUMP_USER_STREAM_INFORMATION streams = { 1, &comment };
        MiniDumpWriteDump(GetCurrentProcess(), GetCurrentProcessId(), file, MiniDumpWithIndirectlyReferencedMemory, &exception,
            &streams, nullptr);
        CloseHandle(file);
    }

    LONG WINAPI Filter(EXCEPTION_POINTERS* crash)
    {
        if (InterlockedIncrement(&writing) != 1)
            Sleep(INFINITE); // another thread writes already, and ends the process
        char program[MAX_PATH];
        GetModuleFileNameA(nullptr, program, MAX_PATH);
        std::string const path = program;
        std::string const folder = path.substr(0, path.rfind('\\')), name = path.substr(folder.size() + 1);
        SYSTEMTIME now;
        GetLocalTime(&now);
        char stamp[100];
        std::snprintf(stamp, sizeof(stamp), "_[%u_%u_%u_%u_%u_%u]", now.wYear, now.wMonth, now.wDay, now.wHour, now.wMinute,
            now.wSecond);
        CreateDirectoryA((folder + "\\Crashes").c_str(), nullptr);
        std::string const report = folder + "\\Crashes\\" + GitRevision::GetHash() + "_" + name + stamp;
        WriteDump(report + ".dmp", crash);
        SymSetOptions(SYMOPT_LOAD_LINES | SYMOPT_UNDNAME);
        SymInitialize(GetCurrentProcess(), folder.c_str(), TRUE);
        WriteText(report + ".txt", now, crash);
        return EXCEPTION_EXECUTE_HANDLER;
    }

    struct Installed
    {
        Installed() { SetUnhandledExceptionFilter(Filter); }
    } const installed;
}
