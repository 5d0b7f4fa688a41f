import { TENANT } from '../../pipelines/tenant.js';

export const isTenant = (name: string): boolean => TENANT.test(name);
