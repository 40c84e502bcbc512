import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.query.GenericRecord;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Objects;
import java.util.Properties;

/** What a program or a dashboard does through JDBC, and through the client below it, with their defaults. */
public class Queries {
    static void check(String what, Object got, Object want) {
        if (!Objects.equals(String.valueOf(got), String.valueOf(want))) {
            throw new IllegalStateException(what + ": got " + got + ", want " + want);
        }
    }

    static Connection connect(String port, String user, String more) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", user);
        p.setProperty("password", "");
        return DriverManager.getConnection("jdbc:clickhouse://127.0.0.1:" + port + "/default" + more, p);
    }

    static String one(Connection c, String query) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(query)) {
            r.next();
            return r.getString(1);
        }
    }

    static void jdbc(String port, String more) throws SQLException {
        try (Connection c = connect(port, "default", more)) {
            check("select", one(c, "SELECT 'a'"), "a");
            check("many", one(c, "SELECT count() FROM (SELECT * FROM numbers(100000))"), "100000");
            try (Statement s = c.createStatement()) {
                s.execute("CREATE TABLE IF NOT EXISTS java (a Int64, s LowCardinality(String), t DateTime64(3, 'UTC'), n Nullable(Float64)) ENGINE = MergeTree ORDER BY a");
                s.execute("TRUNCATE TABLE java");
            }
            try (PreparedStatement s = c.prepareStatement("INSERT INTO java (a, s) VALUES (?, ?)")) {
                for (int i = 0; i < 10; i++) {
                    s.setLong(1, i);
                    s.setString(2, "it's " + i);
                    s.addBatch();
                }
                s.executeBatch();
            }
            check("rows", one(c, "SELECT count() FROM java"), 10);
            try (PreparedStatement s = c.prepareStatement("SELECT a FROM java WHERE s = ?")) {
                s.setString(1, "it's 7");
                try (ResultSet r = s.executeQuery()) {
                    r.next();
                    check("bound", r.getLong(1), 7);
                }
            }
            int n = 0;
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT number FROM numbers(200000)")) {
                while (r.next()) n++;
            }
            check("stream", n, 200000);
            DatabaseMetaData about = c.getMetaData();
            try (ResultSet r = about.getColumns(null, "default", "java", "%")) {
                int columns = 0;
                while (r.next()) columns++;
                check("columns of the table", columns, 4);
            }
            try (ResultSet r = about.getTables(null, "default", "java", null)) {
                check("table is listed", r.next(), true);
            }
            try {
                one(c, "SELECT nosuch");
                throw new IllegalStateException("an unknown column is no error");
            } catch (SQLException e) {
                check("error: " + e.getMessage(), e.getMessage().contains("nosuch"), true);
            }
        }
        try (Connection c = connect(port, "reader", more)) {
            check("reader", one(c, "SELECT count() FROM java"), 10);
        }
    }

    static void client(String port, boolean overHTTP) throws Exception {
        try (Client c = new Client.Builder().addEndpoint("http://127.0.0.1:" + port).setUsername("default").setPassword("")
                .useHttpCompression(overHTTP).compressClientRequest(overHTTP).build()) {
            check("ping", c.ping(), true);
            List<GenericRecord> rows = c.queryAll("SELECT number AS n, 'x' AS s FROM numbers(1000)");
            check("rows of the client", rows.size(), 1000);
            check("last", rows.get(999).getLong("n"), 999);
        }
    }

    public static void main(String[] args) throws Exception {
        jdbc(args[0], "");
        jdbc(args[0], "?client.use_http_compression=true");
        client(args[0], false);
        client(args[0], true);
        System.out.println("ok");
    }
}
