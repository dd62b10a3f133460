import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import { optionalText, requestType, requiredText } from '../rest/rest-schema.js';

const COLUMN = { max: 256 };
const profile = {
  phone: optionalText(COLUMN),
  avatar: optionalText(COLUMN),
  location: optionalText(COLUMN),
  bio: optionalText(COLUMN),
};

export const SignUpRequest = requestType(
  'SignUpRequest',
  z.object({
    name: requiredText({ min: 3, max: 10 }),
    password: requiredText({ min: 8, max: 20 }),
    email: requiredText({ format: 'email', max: 256 }),
    ...profile,
  }),
);
export type SignUpRequest = z.output<typeof SignUpRequest.schema>;

export const UpdateUserRequest = requestType(
  'UpdateUserRequest',
  z.object({
    email: optionalText({ format: 'email', max: 256 }),
    ...profile,
    state: optionalText({ oneOf: ['enable', 'disable'] }),
  }),
);
export type UpdateUserRequest = z.output<typeof UpdateUserRequest.schema>;

export const GetUsersQuery = requestType(
  'GetUsersQuery',
  z.object({
    name: optionalText(),
    email: optionalText(),
    location: optionalText(),
    state: optionalText(),
    ...pageFields,
  }),
);
export type GetUsersQuery = z.output<typeof GetUsersQuery.schema>;
