#pragma once

#include "Define.h"

struct LootItem
{
    uint32 ItemId;
    uint32 Count;
};

// What a corpse or a pocket holds.
class Loot
{
public:
    static constexpr uint32 MaxItems = 16;

    Loot();
    ~Loot();
    Loot(Loot const&) = delete;
    Loot& operator=(Loot const&) = delete;

    void AddItem(uint32 itemId, uint32 count);
    void Clear();
    uint32 GetItemCount() const { return _count; }

private:
    LootItem* _items;
    uint32 _count = 0;
};
