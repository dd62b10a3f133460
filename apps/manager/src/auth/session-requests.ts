import { z } from 'zod';
import { requestType, requiredText } from '../rest/rest-schema.js';

const password = requiredText({ min: 8, max: 20 });

export const SignInRequest = requestType(
  'SignInRequest',
  z.object({ name: requiredText({ min: 3, max: 10 }), password }),
);

export const ResetPasswordRequest = requestType(
  'ResetPasswordRequest',
  z.object({ old_password: password, new_password: password }),
);
export type ResetPasswordRequest = z.output<typeof ResetPasswordRequest.schema>;
