import { DfError } from '@dragonfly/errors';
import { Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { ForTenants } from '../auth/route-rules.js';
import { News } from '../notify/news.js';
import { Answers, AnswersList, AnswersNothing, bodyType } from '../rest/answers.js';
import { JsonBody } from '../rest/request-decorators.js';
import { jsonTime } from '../rest/json-time.js';
import { type RequestOf, requestType, requiredText } from '../rest/rest-schema.js';
import { ObjectStorage } from './object-storage.js';

/** Rules of bucket names are the stores'; this bounds what is passed on to them. */
export const CreateBucketRequest = requestType('CreateBucketRequest', z.object({ name: requiredText({ max: 63 }) }));

/** Keys as the original of 2.0 wrote them. */
export const BucketBody = bodyType('Bucket', z.object({ Name: z.string(), CreateAt: z.string() }));
export type BucketBody = z.output<typeof BucketBody>;

/** Buckets of the object storage; their names are their ids. */
@ApiTags('Bucket')
@ForTenants('refused')
@Controller('api/v1/buckets')
export class BucketsController {
  constructor(
    private readonly storage: ObjectStorage,
    private readonly news: News,
  ) {}

  @Post()
  @HttpCode(200)
  @AnswersNothing()
  async create(@JsonBody(CreateBucketRequest) request: RequestOf<typeof CreateBucketRequest>): Promise<void> {
    await (await this.storage.store()).createBucket(request.name);
    await this.news.publish('object-storage');
  }

  @Get()
  @AnswersList(BucketBody)
  async list(): Promise<BucketBody[]> {
    const buckets = await (await this.storage.store()).listBuckets();
    return buckets.map(({ name, createdAt }) => ({ Name: name, CreateAt: jsonTime(createdAt) }));
  }

  @Get(':id')
  @Answers(BucketBody)
  async get(@Param('id') id: string): Promise<BucketBody> {
    const found = (await this.list()).find(({ Name }) => Name === id);
    if (!found) throw new DfError('not-found', 'record not found');
    return found;
  }

  @Delete(':id')
  @AnswersNothing()
  async delete(@Param('id') id: string): Promise<void> {
    await (await this.storage.store()).deleteBucket(id);
    await this.news.publish('object-storage');
  }
}
