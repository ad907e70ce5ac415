/** What a claim and a request ask of a workload: is there an intent that somebody works on, or that is stuck? Its history does not matter. */
export const sql = /* sql */ `
create index intents_held on intents (workload_id) where state in ('claimed', 'running', 'stuck');
`;
