#pragma once

#include <string>

class Player;

// "Ahnra > Bex > Corin": whom a bot follows, and whom that one follows.
std::string DescribeFollowChain(Player const* bot);
