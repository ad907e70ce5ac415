/** Policies ask once for each statement which host asks, not once for each row that it looks at. Who may do what stays as it was. */
export const sql = /* sql */ `
do $$
declare
  policy record;
begin
  for policy in
    select tablename, policyname, replace(qual, 'refloat_host_id()', '(select refloat_host_id())') as qual,
      replace(with_check, 'refloat_host_id()', '(select refloat_host_id())') as with_check
    from pg_policies where schemaname = 'public' and concat(qual, with_check) like '%refloat_host_id()%'
  loop
    execute format('alter policy %I on %I', policy.policyname, policy.tablename)
      || coalesce(' using (' || policy.qual || ')', '') || coalesce(' with check (' || policy.with_check || ')', '');
  end loop;
end $$;
`;
