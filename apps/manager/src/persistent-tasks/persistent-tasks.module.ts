import { type DynamicModule, Module } from '@nestjs/common';
import { PersistentTasksController } from './persistent-tasks.controller.js';
import { PersistentTasksService } from './persistent-tasks.service.js';

@Module({})
export class PersistentTasksModule {
  static on(platform: DynamicModule): DynamicModule {
    return {
      module: PersistentTasksModule,
      imports: [platform],
      controllers: [PersistentTasksController],
      providers: [PersistentTasksService],
    };
  }
}
