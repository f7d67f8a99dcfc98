#include "Logging/Log.h"
#include "Maps/Map.h"

Map* Map::instance()
{
    static Map instance;
    return &instance;
}

void Map::Load()
{
    InsertGameObjectModels(2);
    AddRelocation(1);
    TC_LOG_INFO("server.loading", "Loaded %u models", static_cast<uint32>(_models.size()));
}

void Map::Relocate(uint64 guid)
{
    _visited += guid & 1;
}

void Map::InsertGameObjectModels(uint32 count)
{
    for (uint32 i = 0; i < count; ++i)
    {
        float const x = 10.0f * static_cast<float>(_models.size());
        _models.push_back({ { x, 0.0f, 0.0f }, { x + 2.0f, 2.0f, 2.0f } });
    }
    _tree.build(_models);
}
