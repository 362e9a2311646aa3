#include "evaluation/judge.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "temporary_folder.h"

namespace ichigo {
namespace {

using nlohmann::json;

// An HTTP server on the loopback interface that gives prepared answers, one a connection, and keeps the requests.
class Server {
 public:
  struct Reply {
    int status;
    std::string body;
  };

  explicit Server(std::vector<Reply> replies) : replies_(std::move(replies)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_, 8), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  // To be looked at when all was asked.
  std::vector<std::string> requests;

 private:
  void serve() {
    for (const Reply& reply : replies_) {
      const int connection = ::accept(socket_, nullptr, nullptr);
      if (connection < 0) return;
      std::string request;
      char buffer[4096];
      while (!whole(request)) {
        const ssize_t count = ::recv(connection, buffer, sizeof buffer, 0);
        if (count <= 0) break;
        request.append(buffer, static_cast<size_t>(count));
      }
      requests.push_back(request);
      const std::string answer = "HTTP/1.1 " + std::to_string(reply.status) +
                                 " x\r\nContent-Length: " + std::to_string(reply.body.size()) +
                                 "\r\nConnection: close\r\n\r\n" + reply.body;
      EXPECT_EQ(::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
      ::close(connection);
    }
  }
  static bool whole(const std::string& request) {
    const size_t body = request.find("\r\n\r\n"), length = request.find("Content-Length: ");
    return body != std::string::npos && length != std::string::npos &&
           request.size() >= body + 4 + std::stoul(request.substr(length + 16));
  }

  std::vector<Reply> replies_;
  int socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
  uint16_t port_ = 0;
  std::thread thread_;
};

std::string completion(const std::string& words) {
  return json{{"choices", {{{"message", {{"role", "assistant"}, {"content", words}}}}}}}.dump();
}

ChatEndpoint quick(const std::string& url) {
  return {.url = url, .model = "strict", .key = "secret", .timeout = 5, .tries = 3, .first_wait = 0.01};
}

TEST(EndpointJudge, AsksAndReadsTheRating) {
  Server server({{200, completion("Explanation: close {question}.\nRating: 4")}, {200, completion("I cannot say.")}});
  const auto judge = endpoint_judge(quick(server.url() + "/"));
  const auto rating = judge->rate({"What is \"it\"?", {"Paris", "the city"}, "Par{question}is"});
  EXPECT_EQ(rating.score, 4);
  EXPECT_TRUE(rating.understood);
  const auto none = judge->rate({"q", {"r"}, "a"});
  EXPECT_EQ(none.score, 0);
  EXPECT_FALSE(none.understood);

  ASSERT_EQ(server.requests.size(), 2U);
  const std::string& request = server.requests[0];
  EXPECT_TRUE(request.starts_with("POST /v1/chat/completions ")) << request;
  EXPECT_CONTAINS(request, "Authorization: Bearer secret\r\n");
  const json body = json::parse(request.substr(request.find("\r\n\r\n") + 4));
  EXPECT_EQ(body["model"], "strict");
  const std::string message = body["messages"][0]["content"];
  EXPECT_CONTAINS(message, "[Question]\nWhat is \"it\"?\n");
  EXPECT_CONTAINS(message, "[Reference Answer]\nParis or: the city\n");
  EXPECT_CONTAINS(message, "\nPar{question}is\n");
}

TEST(EndpointJudge, TriesAgainWhereThatMayHelp) {
  Server server({{503, "busy"}, {429, "{}"}, {200, completion("Rating: 2")}});
  EXPECT_EQ(endpoint_judge(quick(server.url()))->rate({"q", {"r"}, "a"}).score, 2);
}

TEST(EndpointJudge, SaysWhatIsWrong) {
  const auto message = [](const std::vector<Server::Reply>& replies) {
    const Server server(replies);
    return test::error_of([&] { complete(quick(server.url()), "hello"); });
  };
  const std::string refused = message({{401, R"({"error": {"message": "no such key"}})"}});
  EXPECT_CONTAINS(refused, "cannot ask strict at http://127.0.0.1");
  EXPECT_CONTAINS(refused, "HTTP status 401: no such key");
  EXPECT_EQ(refused.find("secret"), std::string::npos);
  EXPECT_CONTAINS(message({{500, ""}, {500, ""}, {500, ""}}), "HTTP status 500 (after 3 tries)");
  EXPECT_CONTAINS(message({{200, "<html>"}}), "something else than a chat completion");
  EXPECT_CONTAINS(message({{200, "{\"choices\": []}"}}), "something else than a chat completion");
  EXPECT_CONTAINS(test::error_of([] { complete(quick("http://127.0.0.1:1"), "hello"); }), "connect");
  EXPECT_CONTAINS(test::error_of([] { complete(quick("file:///etc"), "hello"); }), "cannot ask");
  EXPECT_CONTAINS(test::error_of([] { endpoint_judge({}, "{question} {answer}"); }), "{reference}");
}

TEST(Rating, IsTheNumberBehindTheLastRating) {
  EXPECT_EQ(parse_rating("Explanation: Rating: 1 would be harsh.\nRating: 4"), 4);
  EXPECT_EQ(parse_rating("**Rating:** 3/5"), 3);
  EXPECT_EQ(parse_rating("Rating: (5)."), 5);
  EXPECT_EQ(parse_rating("Rating: 4.5"), 4.5);
  EXPECT_EQ(parse_rating("I would say 2"), 2);
  for (const char* words : {"", "Rating:", "Rating: none", "Rating: 7", "Rating: 45", "Rating: 5.5", "good"}) {
    EXPECT_EQ(parse_rating(words), std::nullopt) << words;
  }
}

TEST(BuiltInJudge, FactsAreRightOrWrongAndSentencesShareWords) {
  const auto judge = built_in_judge();
  const auto score = [&](const std::vector<std::string>& references, const std::string& answer) {
    return judge->rate({"", references, answer}).score;
  };
  EXPECT_EQ(score({"is Paris", "Paris, France"}, "The capital is Paris."), 5);
  EXPECT_EQ(score({"is Paris"}, "The capital is Rome."), 0);
  EXPECT_EQ(score({"forty-two"}, "That's 42!"), 5);
  const std::string open = "Plants make sugar out of light and air";
  EXPECT_EQ(score({open}, "plants make sugar out of light, and air."), 5);
  EXPECT_EQ(score({open}, "plants make sugar out"), 3);  // F1 = 2*4/(8+4)
  EXPECT_EQ(score({open}, "I do not know that"), 0);
  EXPECT_EQ(score({open}, ""), 0);
}

TEST(Judges, AgreeByShareAndPearson) {
  const auto pairs = judge_agreement({"a", "b", "c"}, {{0, 1, 2, 5}, {1, 3, 2, 4}, {3, 3, 3, 3}});
  ASSERT_EQ(pairs.size(), 3U);
  EXPECT_DOUBLE_EQ(pairs[0].within_one, 0.75);
  EXPECT_NEAR(*pairs[0].pearson, 7 / std::sqrt(14 * 5), 1e-12);
  EXPECT_EQ(pairs[1].pearson, std::nullopt);
  EXPECT_THROW(judge_agreement({}, {}), std::exception);
}

TEST(Judges, AreMadeByName) {
  const auto judges = make_judges({"builtin", "a@http://h/v1", "org/b@https://h"}, "k1,");
  ASSERT_EQ(judges.size(), 3U);
  EXPECT_EQ(judges[2]->name(), "org/b@https://h");
  EXPECT_CONTAINS(test::error_of([] { make_judges({"a@http://h", "b@http://h"}, "k"); }), "2 judges to ask but 1 keys");
  EXPECT_CONTAINS(test::error_of([] { make_judges({"gpt"}, ""); }), "neither \"builtin\" nor MODEL@URL");
}

}  // namespace
}  // namespace ichigo
