import { SetMetadata } from '@nestjs/common';

const IS_PUBLIC = 'dragonfly:is-public';
const FOR_TENANTS = 'dragonfly:for-tenants';
const IS_FOR_OWN_ACCOUNT = 'dragonfly:for-own-account';

/**
 * What a route means for callers of a tenant and for tokens with limits.
 *
 * - `scoped`: the handler asks the caller's scope for everything it reads and writes
 * - `open`: nothing in it belongs to anybody (names of features, of roles)
 * - `refused`: about the whole system; answered with "permission deny"
 */
export type TenantRule = 'scoped' | 'open' | 'refused';

/** Keys under which the rules are found on handlers and classes. */
export const ROUTE_RULES = {
  isPublic: IS_PUBLIC,
  forTenants: FOR_TENANTS,
  isForOwnAccount: IS_FOR_OWN_ACCOUNT,
} as const;

/** Opens a route to everybody. */
export const Public = (): MethodDecorator & ClassDecorator => SetMetadata(IS_PUBLIC, true);

/** Says what the route means for tenants. Every route that is not public must; without it tenants are refused. */
export const ForTenants = (rule: TenantRule): MethodDecorator & ClassDecorator => SetMetadata(FOR_TENANTS, rule);

/** Lets a session use the route for its own account (`:id`), whatever its role says about accounts. */
export const ForOwnAccount = (): MethodDecorator => SetMetadata(IS_FOR_OWN_ACCOUNT, true);
