import { type DynamicModule, Module } from '@nestjs/common';
import { PersistentTasksController } from './persistent-tasks.controller.js';
import { PersistentTasksService } from './persistent-tasks.service.js';

@Module({})
export class PersistentTasksModule {
  /** @param jobs has the connections to schedulers */
  static on(platform: DynamicModule, jobs: DynamicModule): DynamicModule {
    return {
      module: PersistentTasksModule,
      imports: [platform, jobs],
      controllers: [PersistentTasksController],
      providers: [PersistentTasksService],
    };
  }
}
