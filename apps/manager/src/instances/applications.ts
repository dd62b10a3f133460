import { DfError } from '@dragonfly/errors';
import { ApplicationEntity, Database } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';

/** Applications with their priorities, as schedulers read them. */
@Injectable()
export class ApplicationsReader {
  constructor(private readonly database: Database) {}

  /** @throws DfError `not-found` when there is none with a priority */
  async list(): Promise<ApplicationEntity[]> {
    const rows = await this.database.manager.find(ApplicationEntity, { where: { isDel: 0 }, order: { id: 'ASC' } });
    const withPriority = rows.filter((row) => Object.keys(row.priority).length > 0);
    if (withPriority.length === 0) {
      throw new DfError('not-found', 'application not found');
    }
    return withPriority;
  }
}
