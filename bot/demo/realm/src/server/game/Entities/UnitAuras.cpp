#include "Entities/Unit.h"

TC_NOINLINE void Unit::UpdateAuras(uint32 diff)
{
    // Over a copy, because auras that have run out leave the list on the way.
    std::vector<Aura*> const auras = _auras;
    for (Aura* aura : auras)
    {
        if (aura->IsExpired())
            RemoveAura(aura);

        aura->Update(this, diff);
    }
}
