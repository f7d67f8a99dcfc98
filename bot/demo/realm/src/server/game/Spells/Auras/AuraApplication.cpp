#include "Debugging/Errors.h"
#include "Spells/Auras/SpellAuras.h"

TC_NOINLINE void AuraApplication::UpdateApplyEffectMask(uint8 newEffectMask)
{
    uint8 const effectsToApply = newEffectMask;
    for (uint8 i = 0; i < MAX_SPELL_EFFECTS; ++i)
        if (effectsToApply & (1 << i))
            _HandleEffect(i, true);
}

TC_NOINLINE void AuraApplication::_HandleEffect(uint8 effIndex, bool apply)
{
    ASSERT(effIndex < MAX_SPELL_EFFECTS);
    ASSERT(HasEffect(effIndex) == (!apply));

    if (apply)
        _effectMask |= 1 << effIndex;
    else
        _effectMask &= ~(1 << effIndex);
}
