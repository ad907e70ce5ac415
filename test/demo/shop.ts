/** The data of the demo: a small shop, a checksum over every row of it, and an accident. */
import { createHash } from 'node:crypto';
import postgres from 'postgres';

const CUSTOMERS = 5_000;
const ORDERS = 40_000;
const PAYMENTS = 20_000;

export interface Contents {
  /** SHA-256 over the names of all tables and every row in them, hex. */
  readonly checksum: string;
  readonly rows: number;
  readonly tables: readonly string[];
}

export class Shop {
  readonly #port: number;
  readonly #password: string;

  constructor(port: number, password: string) {
    this.#port = port;
    this.#password = password;
  }

  fill(): Promise<void> {
    return this.#with(async (sql) => {
      await sql.unsafe(`
        create table customers (id int primary key, name text not null, email text not null unique, since date not null);
        create table orders (id int primary key, customer int not null references customers, total numeric(10,2) not null, note text not null);
        create table payments (id int primary key, "order" int not null references orders, paid timestamptz not null, token bytea not null);
        insert into customers select n, 'Customer ' || n, 'c' || n || '@example.com', date '2020-01-01' + n % 2000 from generate_series(1, ${CUSTOMERS}) n;
        insert into orders select n, 1 + n % ${CUSTOMERS}, (n * 7919 % 100000) / 100.0, repeat(md5(n::text), 4) from generate_series(1, ${ORDERS}) n;
        insert into payments select n, n * 2, timestamptz '2026-01-01' + n * interval '1 minute', sha256(n::text::bytea) from generate_series(1, ${PAYMENTS}) n;
        create index on orders (customer);
      `);
      // Everything that was written is in the data files now, not only in the log.
      await sql.unsafe('checkpoint');
    });
  }

  /** What nobody wants to have done on a Friday. */
  destroy(): Promise<void> {
    return this.#with(async (sql) => {
      await sql.unsafe(`
        drop table payments;
        delete from orders where id % 3 <> 0;
        update customers set email = 'oops' || id || '@example.com', name = upper(name);
      `);
      await sql.unsafe('checkpoint');
    });
  }

  contents(): Promise<Contents> {
    return this.#with(async (sql) => {
      const tables = await sql<
        { name: string }[]
      >`select table_name as name from information_schema.tables where table_schema = 'public' order by 1`;
      const hash = createHash('sha256');
      let rows = 0;
      for (const { name } of tables) {
        const [sum] = await sql<{ rows: string; md5: string }[]>`
          select count(*) as rows, coalesce(md5(string_agg(md5(t::text), '' order by t.id)), '') as md5 from ${sql(name)} t`;
        rows += Number(sum?.rows);
        hash.update(`${name}\0${sum?.rows}\0${sum?.md5}\0`);
      }
      return { checksum: hash.digest('hex'), rows, tables: tables.map(({ name }) => name) };
    });
  }

  /** A connection of its own each time: the server is stopped in between. */
  async #with<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = postgres({
      host: '127.0.0.1',
      port: this.#port,
      user: 'postgres',
      password: this.#password,
      database: 'postgres',
      max: 1,
      onnotice: () => undefined,
    });
    try {
      return await work(sql);
    } finally {
      await sql.end({ timeout: 5 });
    }
  }
}
