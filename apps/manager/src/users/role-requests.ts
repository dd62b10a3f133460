import { z } from 'zod';
import { requestType, requiredList, requiredText } from '../rest/rest-schema.js';

/** Length of the columns of `casbin_rule`. */
const COLUMN = { max: 100 };
const permission = {
  object: requiredText(COLUMN),
  action: requiredText({ oneOf: ['read', '*'] }),
};

/** Accounts are subjects by their number: a role that is a number would give that account its permissions. */
const roleName = requiredText({ ...COLUMN, pattern: { regex: /\D/, tag: 'rolename' } });

export const CreateRoleRequest = requestType(
  'CreateRoleRequest',
  z.object({ role: roleName, permissions: requiredList(z.object(permission)) }),
);
export type CreateRoleRequest = z.output<typeof CreateRoleRequest.schema>;

export const AddPermissionForRoleRequest = requestType('AddPermissionForRoleRequest', z.object(permission));
export const DeletePermissionForRoleRequest = requestType('DeletePermissionForRoleRequest', z.object(permission));
export type PermissionRequest = z.output<typeof AddPermissionForRoleRequest.schema>;
