#pragma once

#include "World/World.h"

namespace ChatCommands
{
    // One line as an operator types it, with or without the leading dot. World thread only.
    CommandResult Execute(std::string const& line);
}
