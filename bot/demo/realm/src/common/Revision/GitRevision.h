#pragma once

namespace GitRevision
{
    char const* GetHash();
    char const* GetFullVersion();
}
