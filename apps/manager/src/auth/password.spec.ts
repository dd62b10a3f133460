import { hashPassword, MAX_PASSWORDS_AT_ONCE, verifyPassword } from './password.js';

it('verifies what it has hashed, and nothing else', async () => {
  const hash = await hashPassword('dragonfly');
  await expect(verifyPassword('dragonfly', hash)).resolves.toBe(true);
  await expect(verifyPassword('Dragonfly', hash)).resolves.toBe(false);
  await expect(verifyPassword('no account has this password', undefined)).resolves.toBe(false);
});

it('refuses more passwords at once than its bound, and goes on afterwards', async () => {
  const attempts = Array.from({ length: MAX_PASSWORDS_AT_ONCE + 5 }, () => verifyPassword('x', undefined));
  const outcomes = await Promise.allSettled(attempts);
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  expect(refused).toHaveLength(5);
  expect(refused[0]).toMatchObject({ reason: { code: 'resource-exhausted' } });
  await expect(verifyPassword('x', undefined)).resolves.toBe(false);
});
