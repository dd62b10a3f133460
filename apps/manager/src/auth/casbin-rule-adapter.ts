import { CasbinRuleEntity } from '@dragonfly/persistence';
import type { BatchAdapter, Model } from 'casbin';
import type { EntityManager, FindOptionsWhere } from 'typeorm';

const VALUES = ['v0', 'v1', 'v2', 'v3', 'v4', 'v5'] as const;

/**
 * casbin's policies in the table `casbin_rule`, in the rows that the original's adapter writes: values that a rule does
 * not have are empty texts there, and may be NULL in rows of others.
 *
 * Works inside whatever transaction the entity manager belongs to.
 */
export class CasbinRuleAdapter implements BatchAdapter {
  constructor(private readonly manager: EntityManager) {}

  async loadPolicy(model: Model): Promise<void> {
    const rows = await this.manager.find(CasbinRuleEntity, { order: { id: 'ASC' } });
    loadRules(model, rows);
  }

  /** Nobody replaces the whole table here: changes are added and removed one by one. */
  savePolicy(): Promise<boolean> {
    return Promise.resolve(false);
  }

  addPolicy(section: string, ptype: string, rule: string[]): Promise<void> {
    return this.addPolicies(section, ptype, [rule]);
  }

  async addPolicies(_section: string, ptype: string, rules: string[][]): Promise<void> {
    await this.manager.insert(
      CasbinRuleEntity,
      rules.map((rule) => ({ ptype, ...columnsOf(rule) })),
    );
  }

  removePolicy(section: string, ptype: string, rule: string[]): Promise<void> {
    return this.removePolicies(section, ptype, [rule]);
  }

  async removePolicies(_section: string, ptype: string, rules: string[][]): Promise<void> {
    for (const rule of rules) {
      await this.removeMatching(ptype, rule, 0);
    }
  }

  removeFilteredPolicy(_section: string, ptype: string, fieldIndex: number, ...values: string[]): Promise<void> {
    return this.removeMatching(ptype, values, fieldIndex);
  }

  /** Empty values match everything, as casbin means them. */
  private async removeMatching(ptype: string, values: readonly string[], fieldIndex: number): Promise<void> {
    const where: FindOptionsWhere<CasbinRuleEntity> = { ptype };
    for (const [index, value] of values.entries()) {
      const column = VALUES[fieldIndex + index];
      if (column && value !== '') {
        where[column] = value;
      }
    }
    await this.manager.delete(CasbinRuleEntity, where);
  }
}

type RuleRow = Pick<CasbinRuleEntity, 'ptype' | 'v0' | 'v1' | 'v2'> & Partial<CasbinRuleEntity>;

/** Adds the rows to the model; rows of a kind that the model does not know are left out. */
export function loadRules(model: Model, rows: readonly RuleRow[]): void {
  for (const row of rows) {
    const ptype = row.ptype ?? '';
    const values = VALUES.map((column) => row[column] ?? '');
    const size = ptype === 'p' ? 3 : ptype === 'g' ? 2 : 0;
    if (size > 0) {
      model.addPolicy(ptype, ptype, values.slice(0, size));
    }
  }
}

function columnsOf(rule: readonly string[]): Record<(typeof VALUES)[number], string> {
  return Object.fromEntries(VALUES.map((column, index) => [column, rule[index] ?? ''])) as Record<
    (typeof VALUES)[number],
    string
  >;
}
