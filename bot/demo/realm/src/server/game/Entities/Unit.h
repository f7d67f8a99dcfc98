#pragma once

#include "Define.h"
#include "Spells/Auras/SpellAuras.h"
#include <string>
#include <vector>

class Unit
{
public:
    Unit() = default;
    virtual ~Unit();
    Unit(Unit const&) = delete;
    Unit& operator=(Unit const&) = delete;

    void AddAura(Aura* aura) { _auras.push_back(aura); }
    void RemoveAura(Aura* aura);
    void UpdateAuras(uint32 diff);
    void OnAuraTick(uint32 spellId);

    AuraApplication& GetAuraApplication() { return _auraApplication; }

private:
    std::vector<Aura*> _auras; // owned
    AuraApplication _auraApplication;
    uint32 _lastAuraTick = 0; // spell
};

class Player : public Unit
{
public:
    explicit Player(std::string name) : _name(std::move(name)) { }

    std::string const& GetName() const { return _name; }
    uint32 GetLevel() const { return 1 + static_cast<uint32>(_experience / 1000); }
    uint64 GetExperience() const { return _experience; }
    void GiveXP(uint64 experience) { _experience += experience; }
    void SetOnline(bool online) { _online = online; }
    bool IsOnline() const { return _online; }

    Player const* GetFollowTarget() const { return _followTarget; }
    void Follow(Player const* target) { _followTarget = target; }

private:
    std::string _name;
    uint64 _experience = 0;
    Player const* _followTarget = nullptr;
    bool _online = true;
};
