#pragma once

#include "Collision/BoundingIntervalHierarchy.h"
#include "Define.h"
#include <atomic>
#include <vector>

// Eastern Kingdoms, and all there is of it: models to collide with, and movers that change their grid.
class Map
{
public:
    static Map* instance();

    void Load();
    void Update(uint32 diff);

    // A mover whose guid is 0 has left the map since.
    void AddRelocation(uint64 guid) { _relocations.push_back(guid); }
    void InsertGameObjectModels(uint32 count);

private:
    void Relocate(uint64 guid);

    std::vector<uint64> _relocations; // guids
    std::atomic<uint64> _visited{ 0 };
    std::vector<AABox> _models;
    BIH _tree;
};

#define sMap Map::instance()
