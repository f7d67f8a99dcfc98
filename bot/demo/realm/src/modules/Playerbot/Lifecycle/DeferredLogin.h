#pragma once

#include "Define.h"
#include <string>

// A bot's login that is finished only some time after the server has come up (Realm.LateSeconds). What is still to be
// done stands in deferred_login.txt, so that a restart in between does not forget it.
class DeferredLogin
{
public:
    static DeferredLogin* instance();

    void Load();
    void Defer(std::string const& name);
    void Update(uint32 diff);

private:
    void Finish();

    std::string _name; // of the bot, empty = nobody waits
    uint32 _waited = 0; // ms
    uint32 _delay = 0;  // ms
};

#define sDeferredLogin DeferredLogin::instance()
