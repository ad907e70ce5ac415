/** What a person may be, from the least to the most; functions/auth/roles.ts says what each may do. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];
