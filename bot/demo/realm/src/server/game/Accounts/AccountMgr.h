#pragma once

#include "Define.h"
#include <string>

// The one account of this realm, for its consoles: Realm.ConsoleUser, Realm.ConsolePassword, Realm.ConsoleLevel.
namespace AccountMgr
{
    constexpr int32 SEC_ADMINISTRATOR = 3;

    // Upper and lower case are equal in both, as in the game.
    bool CheckPassword(std::string const& name, std::string const& password);
    int32 GetSecurity();
}
