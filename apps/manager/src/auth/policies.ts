import { CasbinRuleEntity, type Database } from '@dragonfly/persistence';

/** What a request wants to do with an object: `read` for GET, `*` for everything that changes. */
export type Action = 'read' | '*';

/** Who may do what, as the table `casbin_rule` says. */
export class Policies {
  private readonly actionsOf = new Map<string, Set<string>>();
  private readonly rolesOf = new Map<string, Set<string>>();

  constructor(rules: readonly Pick<CasbinRuleEntity, 'ptype' | 'v0' | 'v1' | 'v2'>[]) {
    for (const { ptype, v0, v1, v2 } of rules) {
      if (ptype === 'p') {
        add(this.actionsOf, `${v0}\0${v1}`, v2 ?? '');
      } else if (ptype === 'g') {
        add(this.rolesOf, v0 ?? '', v1 ?? '');
      }
    }
  }

  /** Whether one of the user's roles has the action, or every action, on the object. */
  allows(userId: number, object: string, action: Action): boolean {
    for (const role of this.roles(userId)) {
      const actions = this.actionsOf.get(`${role}\0${object}`);
      if (actions?.has(action) || actions?.has('*')) {
        return true;
      }
    }
    return false;
  }

  /** Roles of the user, in the order of the table. */
  roles(userId: number): string[] {
    return [...(this.rolesOf.get(String(userId)) ?? [])];
  }
}

/** The policies as they are now. */
export abstract class PolicyCache {
  abstract get(): Promise<Policies>;
  /** To be called after each committed change of the table. */
  abstract invalidate(): Promise<void>;
}

/** In a transaction: on SQLite a read outside could show rules that are taken back again. */
export async function loadPolicies(database: Database): Promise<Policies> {
  const rules = await database.transaction((manager) => manager.find(CasbinRuleEntity, { order: { id: 'ASC' } }));
  return new Policies(rules);
}

function add(map: Map<string, Set<string>>, key: string, value: string): void {
  const values = map.get(key) ?? new Set();
  values.add(value);
  map.set(key, values);
}
