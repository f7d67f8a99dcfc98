#include "Lifecycle/DeferredLogin.h"
#include "Entities/Unit.h"
#include "PlayerbotMgr.h"

TC_NOINLINE void DeferredLogin::Update(uint32 diff)
{
    if (_name.empty())
        return;
    _waited += diff;
    if (_waited < _delay)
        return;

    Player* bot = sPlayerbotMgr->FindBot(_name);
    bot->SetOnline(true);
    Finish();
}
