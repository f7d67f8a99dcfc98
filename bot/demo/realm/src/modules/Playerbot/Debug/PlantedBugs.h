#pragma once

#include "Define.h"
#include <string>
#include <vector>

// Sets off the mistakes that were put into this server on purpose. It contains none of them: each one is in the code
// that it makes run.
class PlantedBugs
{
public:
    static PlantedBugs* instance();

    // False when there is none of this name. It goes off a little later, in the world thread, after the answer is sent.
    bool SetOff(std::string const& name);
    void Update(uint32 diff);
    // The names, separated by blanks.
    std::string List() const;

private:
    struct Pending
    {
        void (*Trigger)();
        uint32 Delay; // ms
    };

    std::vector<Pending> _pending;
};

#define sPlantedBugs PlantedBugs::instance()
