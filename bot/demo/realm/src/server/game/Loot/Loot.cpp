#include "Loot/Loot.h"

Loot::Loot() : _items(new LootItem[MaxItems])
{
}

TC_NOINLINE Loot::~Loot()
{
    delete[] _items;
}

TC_NOINLINE void Loot::AddItem(uint32 itemId, uint32 count)
{
    if (_items && _count < MaxItems)
        _items[_count++] = { itemId, count };
}

TC_NOINLINE void Loot::Clear()
{
    delete[] _items;
    _count = 0;
}
