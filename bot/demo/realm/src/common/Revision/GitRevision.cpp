#include "Revision/GitRevision.h"
#include "revision_data.h"

#if defined(_WIN64)
#define TRINITY_PLATFORM_STR "Win64"
#elif defined(_WIN32)
#define TRINITY_PLATFORM_STR "Win32"
#elif defined(__APPLE__)
#define TRINITY_PLATFORM_STR "MacOSX"
#else
#define TRINITY_PLATFORM_STR "Unix"
#endif

char const* GitRevision::GetHash()
{
    return _HASH;
}

char const* GitRevision::GetFullVersion()
{
    return "TrinityCore rev. " _HASH " " _DATE " (" _BRANCH " branch) (" TRINITY_PLATFORM_STR ", " TRINITY_BUILD_TYPE ", Static)";
}
