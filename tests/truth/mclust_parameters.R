# Writes mclust_*.json and mclust_*.csv, with mclust 6.0.0 and jsonlite 1.8.4 of R 4.2.2.
suppressMessages({library(mclust); library(jsonlite)})
keep <- c("modelName", "n", "d", "G", "loglik", "hypvol", "parameters")
whole <- function(fit) c(unclass(fit)[keep], list(columns = colnames(fit$data)))
case <- function(name, fit, rows) {
  X <- as.matrix(fit$data)[rows, , drop = FALSE]
  list(name = name, rows = unname(X), fit = whole(fit),
       log_density = dens(fit$data, fit$modelName, fit$parameters, logarithm = TRUE)[rows],
       z = unname(predict(fit)$z[rows, , drop = FALSE]))
}
some <- c(1, 51, 77, 100, 107, 120, 134, 150)
cases <- list()
for (m in c("EII","VII","EEI","VEI","EVI","VVI","EEE","VEE","EVE","VVE","EEV","VEV","EVV","VVV"))
  cases[[length(cases) + 1]] <- case(m, Mclust(iris[, 1:4], G = 3, modelNames = m, verbose = FALSE), some)
for (m in c("EII", "EEI", "EEE")) 
  cases[[length(cases) + 1]] <- case(paste(m, "1"), Mclust(faithful, G = 1, modelNames = m, verbose = FALSE), some)
for (m in c("E", "V")) 
  cases[[length(cases) + 1]] <- case(m, Mclust(faithful$eruptions, G = 3, modelNames = m, verbose = FALSE), some)
cases[[length(cases) + 1]] <- case("X", Mclust(faithful$eruptions, G = 1, verbose = FALSE), some)
n <- Mclust(faithful, G = 2, modelNames = "VVV", initialization = list(noise = c(1, 5, 9, 58, 61)), verbose = FALSE)
cases[[length(cases) + 1]] <- case("noise", n, some)
writeLines(toJSON(cases, digits = NA), "mclust_parameters.json")
f <- Mclust(iris[, 1:4], G = 3, modelNames = "VEV", verbose = FALSE)
writeLines(toJSON(f$parameters, digits = NA), "mclust_iris.json")
fit <- f
p <- fit$parameters; G <- fit$G
table <- data.frame(model = fit$modelName, pro = p$pro[1:G], mean = t(p$mean),
                    sigma = t(matrix(p$variance$sigma, ncol = G)))
write.csv(table, "mclust_iris.csv", row.names = FALSE)
fit <- n; p <- fit$parameters; G <- fit$G
table <- data.frame(model = fit$modelName, pro = p$pro[1:G], mean = t(p$mean),
                    sigma = t(matrix(p$variance$sigma, ncol = G)), Vinv = p$Vinv)
write.csv(table, "mclust_noise.csv", row.names = FALSE)
fit <- Mclust(faithful$eruptions, G = 3, modelNames = "V", verbose = FALSE); p <- fit$parameters
table <- data.frame(model = fit$modelName, pro = p$pro, mean = p$mean,
                    sigma = p$variance$sigmasq)
write.csv(table, "mclust_one_column.csv", row.names = FALSE)
