import { z } from 'zod';
import { invalidRequest } from '../rest/request-decorators.js';
import { requestType, requiredList, requiredText } from '../rest/rest-schema.js';
import { PERMISSION_LIST } from '../rest/list-bounds.js';

/** Length of the columns of `casbin_rule`, in characters. */
export const MAX_ROLE_LENGTH = 100;
const COLUMN = { max: MAX_ROLE_LENGTH };
const permission = {
  object: requiredText(COLUMN),
  action: requiredText({ oneOf: ['read', '*'] }),
};

/** Accounts are subjects by their number: a role that is a number would give that account its permissions. */
const ROLE_NAME = /\D/;
const roleName = requiredText({ ...COLUMN, pattern: { regex: ROLE_NAME, tag: 'rolename' } });

/** @throws DfError `invalid-argument` for the name of a role, from a path, that may not get permissions */
export function requireRoleName(role: string): void {
  if (!ROLE_NAME.test(role)) {
    throw invalidRequest("Key: 'role' Error:Field validation for 'role' failed on the 'rolename' tag");
  }
}

export const CreateRoleRequest = requestType(
  'CreateRoleRequest',
  z.object({ role: roleName, permissions: requiredList(z.object(permission), PERMISSION_LIST) }),
);
export type CreateRoleRequest = z.output<typeof CreateRoleRequest.schema>;

export const AddPermissionForRoleRequest = requestType('AddPermissionForRoleRequest', z.object(permission));
export const DeletePermissionForRoleRequest = requestType('DeletePermissionForRoleRequest', z.object(permission));
export type PermissionRequest = z.output<typeof AddPermissionForRoleRequest.schema>;
