/** What hosts report of containers that no workload has yet; see db/container-report.ts. */
export const sql = /* sql */ `
alter table containers add column configuration jsonb;
grant update (configuration) on containers to refloat_agent;
`;
