#include "Maps/Map.h"

TC_NOINLINE void Map::Update(uint32 /*diff*/)
{
    auto itr = _relocations.begin();
    while (itr != _relocations.end())
    {
        ++_visited;
        if (*itr == 0)
            continue;

        Relocate(*itr);
        ++itr;
    }
    _relocations.clear();
}
