import { type Adapter, type Enforcer, type Model, newEnforcer, newModelFromString } from 'casbin';
import { loadRules } from './casbin-rule-adapter.js';
import type { CasbinRuleEntity } from '@dragonfly/persistence';

/** What a request wants to do with an object: `read` for GET, `*` for everything that changes. */
export type Action = 'read' | '*';

/** The original's model: a user has roles, a role has actions on objects, `*` is every action. */
const MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && (r.act == p.act || p.act == '*')
`;
/** Decisions that are remembered; a decision takes casbin tens of microseconds, and every request asks for one. */
const MAX_DECISIONS = 10_000;

/** casbin over the policies of an adapter; changes through it go to the adapter at once. */
export function policyEnforcer(adapter: Adapter): Promise<Enforcer> {
  return newEnforcer(newModelFromString(MODEL), adapter);
}

/** Who may do what, as the table `casbin_rule` says at one moment. */
export class Policies {
  private readonly decisions = new Map<string, boolean>();

  private constructor(
    private readonly enforcer: Enforcer,
    private readonly rolesOf: ReadonlyMap<string, readonly string[]>,
  ) {}

  static async of(rules: readonly Pick<CasbinRuleEntity, 'ptype' | 'v0' | 'v1' | 'v2'>[]): Promise<Policies> {
    const enforcer = await policyEnforcer(new RulesInMemory(rules));
    const grants = rules.filter((rule) => rule.ptype === 'g');
    const rolesOf = new Map<string, string[]>();
    for (const { v0, v1 } of grants) {
      const user = v0 ?? '';
      rolesOf.set(user, [...new Set([...(rolesOf.get(user) ?? []), v1 ?? ''])]);
    }
    return new Policies(enforcer, rolesOf);
  }

  /** Whether one of the user's roles has the action, or every action, on the object. */
  allows(userId: number, object: string, action: Action): boolean {
    const key = `${userId} ${action} ${object}`;
    const known = this.decisions.get(key);
    if (known !== undefined) {
      return known;
    }
    const decision = this.enforcer.enforceSync(String(userId), object, action);
    if (this.decisions.size >= MAX_DECISIONS) {
      this.decisions.clear();
    }
    this.decisions.set(key, decision);
    return decision;
  }

  /** Roles of the user, in the order of the table. */
  roles(userId: number): string[] {
    return [...(this.rolesOf.get(String(userId)) ?? [])];
  }
}

/** Rules that were read before; never written. */
class RulesInMemory implements Adapter {
  constructor(private readonly rules: readonly Pick<CasbinRuleEntity, 'ptype' | 'v0' | 'v1' | 'v2'>[]) {}

  loadPolicy(model: Model): Promise<void> {
    loadRules(model, this.rules);
    return Promise.resolve();
  }

  savePolicy(): Promise<boolean> {
    return Promise.resolve(false);
  }

  addPolicy(): Promise<void> {
    return refused();
  }

  removePolicy(): Promise<void> {
    return refused();
  }

  removeFilteredPolicy(): Promise<void> {
    return refused();
  }
}

function refused(): Promise<never> {
  return Promise.reject(new Error('policies of one moment cannot be changed'));
}
