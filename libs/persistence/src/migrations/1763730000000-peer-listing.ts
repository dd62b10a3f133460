import { TableIndex, type MigrationInterface, type QueryRunner } from 'typeorm';

const TABLE = 'peer';
const INDEX = 'idx_peer_is_del';

/** An index of ours that counts and pages through the peers of a large fleet without reading them. */
export class PeerListing1763730000000 implements MigrationInterface {
  readonly name = 'PeerListing1763730000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = await queryRunner.getTable(TABLE);
    // There already after an interruption: MySQL commits each statement by itself.
    if (!table?.indices.some(({ name }) => name === INDEX)) {
      await queryRunner.createIndex(TABLE, new TableIndex({ name: INDEX, columnNames: ['is_del'] }));
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropIndex(TABLE, INDEX);
  }
}
