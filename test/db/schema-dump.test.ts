import path from 'node:path';
import { test } from 'node:test';
import { assertGolden } from '../helpers/golden.ts';
import { testDatabase } from '../helpers/postgres.ts';

/** What protects data must not go missing in a later migration: constraints, indexes, triggers, policies, rights. */
test('constraints, indexes, triggers, policies and rights are the ones of the last review', async () => {
  const { sql } = await testDatabase();
  const rows = await sql<{ line: string }[]>`
    with own as (select oid, relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace)
    select line from (
      select format('table %s row security %s forced %s', c.relname, c.relrowsecurity, c.relforcerowsecurity) as line from pg_class c join own using (oid)
      union all select format('constraint %s.%s %s', o.relname, k.conname, pg_get_constraintdef(k.oid)) from pg_constraint k join own o on o.oid = k.conrelid where k.contype <> 'n'
      union all select format('index %s', replace(pg_get_indexdef(i.indexrelid), 'public.', '')) from pg_index i join own o on o.oid = i.indrelid
      union all select format('trigger %s', replace(pg_get_triggerdef(t.oid), 'public.', '')) from pg_trigger t join own o on o.oid = t.tgrelid where not t.tgisinternal
      union all select format('policy %s.%s %s to %s using %s check %s', tablename, policyname, cmd,
        replace(roles::text, current_user, 'OWNER'), coalesce(qual, '-'), coalesce(with_check, '-')) from pg_policies where schemaname = 'public'
      union all select format('function %s definer %s path %s', replace(p.oid::regprocedure::text, 'public.', ''), p.prosecdef, coalesce(p.proconfig::text, '-'))
        from pg_proc p where p.pronamespace = 'public'::regnamespace
      union all select format('right %s %s %s', g.privilege_type, g.table_name, 'whole') from information_schema.role_table_grants g where g.grantee = 'refloat_agent'
        and g.table_catalog = current_database()
      union all select format('right %s %s.%s', g.privilege_type, g.table_name, g.column_name) from information_schema.column_privileges g
        where g.grantee = 'refloat_agent' and g.privilege_type = 'UPDATE'
    ) lines order by line collate "C"`;
  const text = rows.map((row) => `${row.line.replaceAll(/\s+/g, ' ')}\n`).join('');
  assertGolden(path.join(import.meta.dirname, 'schema-dump.golden.txt'), text);
});
