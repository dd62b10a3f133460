import { TenantEntity, updateRow } from '@dragonfly/persistence';
import type { EntityManager } from 'typeorm';

/** @param tenantId undefined = the caller belongs to none, and nothing happens */
export async function giveClusterToTenant(
  manager: EntityManager,
  now: Date,
  tenantId: number | undefined,
  clusterId: number,
): Promise<void> {
  const tenant = tenantId === undefined ? null : await manager.findOneBy(TenantEntity, { id: tenantId, isDel: 0 });
  if (tenant) {
    const schedulerClusterIds = [...new Set([...tenant.schedulerClusterIds, clusterId])];
    await updateRow(manager, TenantEntity, now, tenant.id, { schedulerClusterIds });
  }
}

/** To be called when a cluster is deleted: its id must not give a later row to anybody. */
export async function takeClusterFromTenants(manager: EntityManager, clusterId: number): Promise<void> {
  const tenants = await manager.findBy(TenantEntity, { isDel: 0 });
  for (const { id, schedulerClusterIds } of tenants) {
    if (schedulerClusterIds.includes(clusterId)) {
      await updateRow(manager, TenantEntity, new Date(), id, {
        schedulerClusterIds: schedulerClusterIds.filter((one) => one !== clusterId),
      });
    }
  }
}
