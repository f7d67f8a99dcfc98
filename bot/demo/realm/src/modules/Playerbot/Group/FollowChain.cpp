#include "Group/FollowChain.h"
#include "Entities/Unit.h"

TC_NOINLINE std::string DescribeFollowChain(Player const* bot)
{
    Player const* leader = bot->GetFollowTarget();
    if (!leader)
        return bot->GetName();
    return bot->GetName() + " > " + DescribeFollowChain(leader);
}
